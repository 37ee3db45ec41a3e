import type { StreamResponse, Transport } from "@connectrpc/connect";

/** A transport with one connection. */
interface Lane {
  readonly transport: Transport;
  /** Number of running calls. */
  calls: number;
}

/**
 * Distributes calls over several connections to one service: each call uses the connection with the fewest calls. Each
 * transport replaces a connection that is going away: running calls complete on it, and new calls open another one.
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

/** Not a generator, which would delay each message by another turn of the event loop. */
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
          return result as IteratorResult<never>; // unchanged, with the type of the method
        } catch (error) {
          over();
          throw error;
        }
      },
    };
  },
});
