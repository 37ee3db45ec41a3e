const { fround } = Math;

/**
 * e to the power of x, a 32-bit float, exactly as MLX's CPU backend computes it (mlx/backend/cpu/simd/math.h of 0.32),
 * which is off by up to 10 units in the last place. Rotary frequencies are such powers, and at far positions these
 * digits matter.
 */
export const floatExp = (x: number): number => {
  const power = fround(fround(x) * fround(1.442695));
  const whole = Math.floor(fround(power + 0.5));
  const fraction = fround(power - whole);
  // A product of two floats is exact in 64 bits, so each step rounds once, like a fused multiply-add.
  const mantissa = coefficients.reduce((sum, coefficient) => fround(sum * fraction + coefficient));
  return fround(mantissa * 2 ** whole);
};

const coefficients = [
  1.5353361883195e-4, 1.339887440266574e-3, 9.61843735767464e-3, 5.550332471162809e-2, 2.402264791363012e-1,
  6.931472028550421e-1, 1,
].map(fround);
