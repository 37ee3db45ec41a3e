import packageJson from "../../../package.json" with { type: "json" };

/** Of this build. Dependencies are pinned exactly, so what package.json says is what is installed. */
export const versions = {
  mlxd: packageJson.version,
  mlx: packageJson.dependencies["@frost-beta/mlx"],
} as const;
