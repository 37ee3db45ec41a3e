import { createInterface, type Interface } from "node:readline";
import { type GenerationParameters, type GenerationStream, isMlxdError, type MlxdClient } from "../../client/node.ts";
import { Conversation } from "../conversation.ts";
import { errorLine, Interrupted } from "../failures.ts";
import * as shared from "../options.ts";
import { printAnswer } from "../print-answer.ts";
import { note, print, styled } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { openClient } from "../with-client.ts";

const help = `/system TEXT  what the model is told before the conversation; without TEXT nothing
/reset        forget what was said
/exit         leave; so does Ctrl-D
Ctrl-C        end the answer; a second one leaves`;

/** `mlxd chat`: a conversation. */
export const addChat = (mlxd: Program): void => {
  shared
    .addAnswering(mlxd, "chat")
    .description("Holds a conversation on the terminal, or answers piped input, one turn per line.")
    .addOption(shared.system)
    .addOption(shared.jsonLines)
    .addHelpText("after", `\nIn a conversation:\n${help.replaceAll(/^/gm, "  ")}`)
    .addHelpText(
      "after",
      examples(
        "mlxd chat",
        'mlxd chat --system "You are a helpful assistant." --temperature 0',
        'printf "My name is Mina.\\nWhat is my name?\\n" | mlxd chat',
        'printf "Hello\\nWhat is 2+2?\\n" | mlxd chat --json | jq -r .text',
      ),
    )
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      using client = openClient(options);
      // If the model cannot chat, that is reported before anything is typed.
      const { id } = await client.getModel(options.model);
      const { server, system, json } = options;
      await new Chat(client, shared.generationParameters(options), { server, system, json }).run(id);
    });
};

interface ChatOptions {
  readonly server: string;
  readonly system: string | undefined;
  /** Whether each answer is printed as one line of JSON, and nothing else. */
  readonly json?: boolean | undefined;
}

/** One conversation from its first line to its end. */
class Chat {
  readonly #client: MlxdClient;
  readonly #parameters: GenerationParameters;
  readonly #server: string;
  readonly #conversation: Conversation;
  readonly #json: boolean;
  readonly #interactive: boolean;
  /** The answer that is being printed. */
  #answer: { readonly stream: GenerationStream; ending: boolean } | undefined;
  #interrupted = false;

  constructor(client: MlxdClient, parameters: GenerationParameters, { server, system, json = false }: ChatOptions) {
    this.#json = json;
    this.#interactive = !json && process.stdin.isTTY && process.stdout.isTTY;
    this.#client = client;
    this.#parameters = parameters;
    this.#server = server;
    this.#conversation = new Conversation(system);
  }

  async run(model: string): Promise<void> {
    const lines = createInterface({
      input: process.stdin,
      ...(this.#interactive && { output: process.stdout }),
      terminal: this.#interactive,
      prompt: styled("bold", "> "),
    });
    const onInterrupt = (): void => this.#interrupt(lines);
    lines.on("SIGINT", onInterrupt); // a terminal's key
    process.on("SIGINT", onInterrupt); // anybody's signal
    try {
      if (this.#interactive) print(`Talking to ${model}. /help lists the commands.`);
      this.#prompt(lines);
      for await (const line of lines) {
        if (this.#interrupted || !(await this.#take(line.trim()))) break;
        this.#prompt(lines);
      }
    } finally {
      process.removeListener("SIGINT", onInterrupt);
      lines.close();
      process.stdin.destroy(); // a terminal or an open pipe would keep the process alive
    }
    if (this.#interrupted) throw new Interrupted();
  }

  #prompt(lines: Interface): void {
    if (this.#interactive && !this.#interrupted) lines.prompt();
  }

  /** Executes a line of input; returns false if it ends the conversation. */
  async #take(line: string): Promise<boolean> {
    const [, command, text = ""] = /^\/(\w+)\s*(.*)$/s.exec(line) ?? [];
    switch (command) {
      case undefined:
        if (line !== "") await this.#reply(line);
        return true;
      case "exit":
        return false;
      case "reset":
        this.#conversation.reset();
        return true;
      case "system":
        this.#conversation.setSystem(text);
        return true;
      case "help":
        if (this.#json) note(help);
        else print(help);
        return true;
      default:
        note(`there is no /${command}; /help lists the commands`);
        return true;
    }
  }

  async #reply(said: string): Promise<void> {
    const stream = this.#client.stream({ messages: this.#conversation.with(said) }, this.#parameters);
    const answer = { stream, ending: false };
    this.#answer = answer;
    try {
      const result = this.#json ? await stream.collect() : await printAnswer(stream);
      if (this.#json) print(JSON.stringify(result));
      this.#conversation.add(said, result.text);
    } catch (error) {
      if (answer.ending) return;
      // At a terminal the user can continue; a script needs to see the failure.
      if (!this.#interactive || !isMlxdError(error)) throw error;
      note(errorLine(error, this.#server));
    } finally {
      this.#answer = undefined;
    }
  }

  #interrupt(lines: Interface): void {
    const answer = this.#answer;
    if (answer && !answer.ending) {
      answer.ending = true;
      this.#end(answer.stream);
      return;
    }
    this.#interrupted = true;
    answer?.stream.cancel();
    lines.close();
  }

  /** Ends an answer cleanly, so that the part that was received stays in the conversation. */
  #end(stream: GenerationStream): void {
    const { generationId } = stream;
    if (generationId === undefined) stream.cancel();
    else this.#client.cancel(generationId).catch(() => stream.cancel());
  }
}
