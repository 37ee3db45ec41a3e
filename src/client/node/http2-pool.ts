import type { StreamResponse, Transport } from "@connectrpc/connect";

/** One connection, as a transport of its own. */
interface Lane {
  readonly transport: Transport;
  /** Calls under way. */
  calls: number;
}

/**
 * Several connections to one service: each call goes over the one with the fewest calls. A connection that is going away
 * is its own transport's to replace: what runs on it goes on, what is new opens the next one.
 */
export const createPool = (transports: readonly Transport[]): Transport => {
  const lanes = transports.map((transport): Lane => ({ transport, calls: 0 }));
  return {
    unary: async (...call) => {
      const { transport, leave } = enter(lanes);
      try {
        return await transport.unary(...call);
      } finally {
        leave();
      }
    },
    stream: async (method, signal, ...call) => {
      const { transport, leave } = enter(lanes);
      try {
        const response = await transport.stream(method, signal, ...call);
        signal?.addEventListener("abort", leave, { once: true });
        return { ...response, message: untilOver(response.message, leave) };
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
};

const enter = (lanes: readonly Lane[]) => {
  const lane = lanes.reduce((best, each) => (each.calls < best.calls ? each : best));
  lane.calls++;
  let isLeft = false;
  const leave = (): void => {
    if (!isLeft) lane.calls--;
    isLeft = true;
  };
  return { transport: lane.transport, leave };
};

/** Not a generator: a message is not to wait for one more turn. */
const untilOver = <T>(
  messages: AsyncIterable<T>,
  over: () => void,
): StreamResponse["message"] & AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => {
    const iterator = messages[Symbol.asyncIterator]();
    return {
      next: async () => {
        try {
          const result = await iterator.next();
          if (result.done) over();
          return result as IteratorResult<never>; // of the method's own type, as it came
        } catch (error) {
          over();
          throw error;
        }
      },
    };
  },
});
