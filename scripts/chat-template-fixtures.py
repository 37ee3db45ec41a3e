"""Renders templates with transformers and writes what came out beside them, for the tests to compare with.

  python scripts/chat-template-fixtures.py

It needs transformers and jinja2 of Python and fetches nothing. What it reads and writes stands in
test/fixtures/chat-templates: `jinja.json` has small templates, one question of the language each; `families/*.jinja` are
templates in the manner of model families, which `conversations.json` is rendered with.
"""

import json
import pathlib
import sys

from transformers.utils import chat_template_utils

FOLDER = pathlib.Path(__file__).parent.parent / "test/fixtures/chat-templates"
# Templates write today's date: this one.
NOW = "2026-11-27T09:05:03"


class Now(chat_template_utils.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(NOW)


chat_template_utils.datetime = Now


def outcome(render):
    try:
        return {"text": render()}
    except Exception as error:  # whatever the template raises is what is asked for
        return {"error": type(error).__name__}


def compiled(source):
    return chat_template_utils._compile_jinja_template(source)


def questions():
    cases = json.loads((FOLDER / "jinja.json").read_text())
    for case in cases:
        names = json.loads(case.get("names", "{}"))
        case.pop("text", None), case.pop("error", None)
        case.update(outcome(lambda: compiled(case["template"]).render(**names)))
    return cases


FORMS = [(content, arguments) for arguments in ("object", "text") for content in ("text", "none", "absent")]


def message(given, content, arguments):
    """As the service hands a message to templates, which is as users of transformers write it."""
    calls = given.get("tool_calls", [])
    made = {"role": given["role"], "content": given.get("content", "")}
    if calls and not made["content"]:
        if content == "none":
            made["content"] = None
        elif content == "absent":
            del made["content"]
    for key in ("name", "tool_call_id"):
        if key in given:
            made[key] = given[key]
    if "reasoning" in given:
        made["reasoning_content"] = made["thinking"] = given["reasoning"]
    if calls:
        made["tool_calls"] = [
            {
                **({"id": call["id"]} if "id" in call else {}),
                "type": "function",
                "function": {
                    "name": call["name"],
                    "arguments": json.loads(call["arguments"]) if arguments == "object" else call["arguments"],
                },
            }
            for call in calls
        ]
    return made


def families():
    """Of each template and conversation what it is in each form that calls can have: `any`, if all are alike."""
    conversations = json.loads((FOLDER / "conversations.json").read_text())
    rendered = {}
    for path in sorted((FOLDER / "families").glob("*.jinja")):
        source = path.read_bytes().decode()
        rendered[path.stem] = {}
        for name, chat in conversations.items():
            tools = [{"type": "function", "function": tool} for tool in chat.get("tools", [])]
            has_calls = any("tool_calls" in each for each in chat["messages"])
            outcomes = {
                f"{content} {arguments}": outcome(
                    lambda: chat_template_utils.render_jinja_template(
                        conversations=[[message(each, content, arguments) for each in chat["messages"]]],
                        tools=tools or None,
                        chat_template=source,
                        add_generation_prompt=True,
                        bos_token="<s>",
                        eos_token="</s>",
                        **chat.get("options", {}),
                    )[0][0]
                )
                for content, arguments in (FORMS if has_calls else FORMS[:1])
            }
            first, *others = outcomes.values()
            rendered[path.stem][name] = {"any": first} if all(each == first for each in others) else outcomes
    return rendered


def write(name, value):
    (FOLDER / name).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    write("jinja.json", questions())
    write("rendered.json", families())
    print("written", file=sys.stderr)
