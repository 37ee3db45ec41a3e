/**
 * Converts the API's field paths to the client's names: an error about `topP` names `topP` and not `task.sampling.top_p`, also
 * in its message.
 */

/** Converts a field path to the name that the caller used. */
export type NameOf = (path: string) => string;

/** For options of calls without a task, and of tasks whose input and parameters are not known. */
export const optionName: NameOf = (path) => {
  const [, item, rest = path] = /^(items\[\d+\])\.(.*)$/s.exec(path) ?? [];
  return item === undefined ? ownName(path, "") : ownName(rest, `${item}.`);
};

/** For options of a task with this input and these parameters, which are at `place` in the arguments of the caller. */
export const taskOptionNames = (input: unknown, parameters: object, place = ""): NameOf => {
  const prefix = place === "" ? "" : `${place}.`;
  const inputName = `${prefix}input`;
  return (path) => {
    const own = path.startsWith(prefix) ? path.slice(prefix.length) : path;
    if (!/^task\b/.test(own)) return optionName(path);
    const name = ownName(own, prefix);
    if (typeof input === "string" && own.startsWith("task.chat.messages")) return inputName;
    const [, option = ""] = /^(\w+)/.exec(name.slice(prefix.length)) ?? [];
    const isRaw = typeof input === "object" && input !== null && "task" in input && !(option in parameters);
    return isRaw ? `${place === "" ? "" : `${inputName}.`}${camelPath(own)}` : name;
  };
};

/** Replaces the API's names in a sentence by those of the client. */
export const nameOptionsIn = (text: string, nameOf: NameOf): string =>
  text
    .replaceAll(/(?<![\w".])(?:items\[\d+\]\.)?task(?:\.\w+(?:\[[^\]]*\])*)+/g, nameOf)
    .replaceAll(/(?<![\w".\-/])[a-z]+(?:_[a-z]+)+(?![\w"])/g, (word) => (known.has(word) ? ownName(word, "") : word));

const known = new Set(
  (
    "top_p top_k min_p repetition_penalty presence_penalty frequency_penalty logit_bias candidate_count " +
    "max_output_tokens min_output_tokens stop_sequences replace_model_stops stop_token_ids ignore_eos include_stop_in_output time_budget " +
    "max_tokens token_ids top_logprobs prompt_logprobs echo_prompt flush_tokens flush_interval fairness_id " +
    "max_queue_wait stable_prefix_tokens model_revision tool_choice template_options continue_final_message " +
    "json_schema json_object drain_timeout idle_ttl generation_id"
  ).split(" "),
);

/** Parts of a task that do not exist in the client, where their fields are options. */
const groups = /^(?:sampling|stop|output|scheduling)\./;

const ownName = (path: string, prefix: string): string => {
  const [, task, rest = path] = /^(task\.)(.*)$/s.exec(path) ?? [];
  const inner = rest
    .replace(groups, "")
    .replace(/^tokens\.ids\b/, "tokens")
    .replace(/^ids\b/, "tokenIds")
    .replace(/^constraint\.choice\.choices\b/, "constraint.choices")
    .replace(/^(inputs\[\d+\])\.text$/, "$1")
    .replace(/^(inputs\[\d+\]\.tokens)\.ids\b/, "$1")
    .replace(/(\bcontent\[\d+\]\.image)\.(?:data|url)$/, "$1")
    .replace(/(\btools\[\d+\]\.parameters)_json$/, "$1");
  const isInput = task !== undefined && /^(?:chat|prompt|tokens)\b/.test(inner);
  return `${prefix}${isInput && prefix !== "" ? "input." : ""}${camelPath(inner.replace(/^chat\./, ""))}`;
};

/** In camelCase, up to where names of the caller begin. */
const camelPath = (path: string): string => {
  const [, ours = path, theirs = ""] = /^(.*?\b(?:template_options|parameters|labels))([.[].*)$/s.exec(path) ?? [];
  const camel = ours.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return `${camel.replace(/\b(?:timeBudget|flushInterval|maxQueueWait|drainTimeout|idleTtl)$/, "$&Ms")}${theirs}`;
};
