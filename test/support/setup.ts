import { installGrpcurl } from "./tools.ts";

/** Runs once, before all test files. */
export const setup = async (): Promise<void> => {
  const reason = await installGrpcurl();
  if (reason) process.stderr.write(`${reason}\n`);
};
