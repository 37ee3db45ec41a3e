/** What both sides of W7 send: the events of a generation of short words. */
export const streams = 32;
export const tokensPerStream = 2000;
export const word = " word";
