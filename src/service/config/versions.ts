import prebuilt from "../../../binding/prebuilt/manifest.json" with { type: "json" };
import packageJson from "../../../package.json" with { type: "json" };

/** The versions of this build. Dependencies are pinned exactly, so package.json tells what is installed. */
export const versions = {
  mlxd: packageJson.version,
  /** The version that engines use by default; each reports the version that it actually uses. */
  mlx: prebuilt.mlx,
} as const;
