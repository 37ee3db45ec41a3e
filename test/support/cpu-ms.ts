/** Milliseconds of this thread's CPU time that work takes: other work on the machine does not count. */
export const cpuMs = (work: () => void): number => {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
};
