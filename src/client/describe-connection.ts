/** Explains why a connection failed, and what to change. */

/**
 * A sentence for this error, or undefined if its own message is clear enough. Runtimes put the code of the operating system
 * or of TLS on the error itself, on one of its causes, or on one of the errors of an AggregateError.
 */
export const describeConnection = (error: unknown): string | undefined => {
  for (const { code, message } of causesOf(error)) {
    const found = sentences.find(([pattern]) => pattern.test(code) || pattern.test(message));
    if (found) return found[1](message.trim(), code);
  }
  return undefined;
};

type Sentence = (message: string, code: string) => string;

const sentences: readonly (readonly [RegExp, Sentence])[] = [
  [/wrong.version.number/i, () => "no TLS is spoken there: for a service without TLS the address begins with http://"],
  [/no.application.protocol/i, () => 'HTTP/2 over TLS is not spoken there: protocol "connect-http1" does without'],
  [
    /SELF_SIGNED|UNABLE_TO_|CERT_|CERTIFICATE/,
    (message) => `the server's certificate is not trusted: ${message}; the option tls.ca names other authorities`,
  ],
  [/ENOTFOUND|EAI_AGAIN/, (message, code) => `the host's name is not known (${message || code})`],
  [/^ENOENT$/, (message) => `there is no such socket (${message})`],
  [/^EACCES$/, (message) => `the socket may not be used by this user (${message})`],
  [/ECONNREFUSED/, (message, code) => `nobody listens there (${message || code})`],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT/,
    (message, code) => `the host does not answer (${code}: ${message})`,
  ],
  [
    /^HPE_|does not match the HTTP\/1/,
    () => 'HTTP/1.1 is not spoken there; for HTTP/2 there are the protocols "grpc" and "connect"',
  ],
  [
    /^Protocol error$/,
    () => 'the other side breaks the protocol of HTTP/2: if it speaks HTTP/1.1 alone, set protocol "connect-http1"',
  ],
];

/** The message of the innermost cause: `fetch failed` alone says nothing. */
export const deepestMessage = (error: unknown): string => causesOf(error).at(-1)?.message ?? String(error);

interface Cause {
  readonly code: string;
  readonly message: string;
}

const causesOf = (error: unknown): readonly Cause[] => {
  const found: Cause[] = [];
  const waiting: unknown[] = [error];
  const seen = new Set<unknown>(); // a chain of causes can be circular
  while (waiting.length > 0) {
    const one = waiting.shift();
    if (!(one instanceof Error) || seen.has(one)) continue;
    seen.add(one);
    found.push({ code: "code" in one && typeof one.code === "string" ? one.code : "", message: one.message });
    waiting.push(one.cause, ...("errors" in one && Array.isArray(one.errors) ? (one.errors as unknown[]) : []));
  }
  return found;
};
