/** What the server of W12 sends: a piece in each turn of its pace, as an engine does in each step. */
export const piecesPerAnswer = 400;
export const paceMs = 10;
