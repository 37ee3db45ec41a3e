/** Shows the preparation of a model, for `mlxd pull` and `mlxd prepare`, on a terminal or elsewhere. */
import type { PreparationReport, PreparationStream, ProgressEvent } from "../client/node.ts";
import { CommandFailed } from "./failures.ts";
import { formatBar, formatBytes, formatDuration } from "./format.ts";
import { note, print, printJson } from "./print.ts";
import { StatusLine } from "./status-line.ts";

/**
 * Follows a preparation to its end: stages line by line, bytes as a bar on a terminal and otherwise at each tenth. With
 * `json` only the report is printed. A degraded model is a success with a note; a failed one throws.
 */
export const followPreparation = async (stream: PreparationStream, json = false): Promise<void> => {
  const say = json ? () => {} : print;
  {
    using line = new StatusLine();
    let tenths = -1;
    for await (const event of stream) {
      if (event.type === "progress") {
        if (process.stderr.isTTY) line.show(progressLine(event));
        else if (tenthsOf(event) !== tenths) {
          tenths = tenthsOf(event);
          say(stepLine(event.elapsedMs ?? 0, `${bytesOf(event)} (${tenths * 10} %)`));
        }
        continue;
      }
      line.clear();
      if (event.type === "stage") say(stepLine(event.elapsedMs, event.stage.replaceAll("_", " ")));
      if (event.type === "log") say(stepLine(event.elapsedMs, `  ${event.message}`));
    }
  }
  const report = await stream.collect();
  if (json) printJson(report);
  tellOutcome(report, json);
};

const tellOutcome = (report: PreparationReport, json = false): void => {
  const { stage, model, smokeTest, error, readyToChat } = report;
  if (error) throw error;
  const name = model?.id ?? "the model";
  const reason = smokeTest?.reason || "its smoke test gives no reason";
  if (!readyToChat) throw new CommandFailed(`${name} is loaded, but its answer is unusable: ${reason}`);
  if (stage === "degraded") note(`${name} answers, but not as it should: ${reason}`);
  if (!json) print(`${name} is ready`);
};

const stepLine = (elapsedMs: number, text: string): string => `${formatDuration(elapsedMs).padStart(9)}  ${text}`;

const partOf = ({ bytesDone, bytesTotal }: ProgressEvent): number => (bytesTotal > 0 ? bytesDone / bytesTotal : 1);

const tenthsOf = (event: ProgressEvent): number => Math.floor(partOf(event) * 10);

const bytesOf = ({ bytesDone, bytesTotal }: ProgressEvent): string =>
  `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;

const progressLine = (event: ProgressEvent): string =>
  `${formatBar(partOf(event), 30)} ${bytesOf(event)}, ${event.filesDone} of ${event.filesTotal} files`;
