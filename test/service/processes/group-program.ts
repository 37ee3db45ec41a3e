/** What process-group.test.ts starts as a service that is killed: it starts a group and tells the numbers of its processes. */
import { startGroup } from "../../../src/service/processes/process-group.ts";
import { tree } from "./group-tree.ts";

startGroup({
  command: tree,
  environment: process.env,
  directory: process.cwd(),
  onOutput: (text) => process.send?.(text),
});
setInterval(() => {}, 1000);
