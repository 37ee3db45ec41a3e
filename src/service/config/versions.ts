import prebuilt from "../../../binding/prebuilt/manifest.json" with { type: "json" };
import packageJson from "../../../package.json" with { type: "json" };

/** Of this build. Dependencies are pinned exactly, so what package.json says is what is installed. */
export const versions = {
  mlxd: packageJson.version,
  /** That engines take where nothing is in the way; which one they took they say themselves. */
  mlx: prebuilt.mlx,
} as const;
