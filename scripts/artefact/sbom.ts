/** What an artefact or an image is made of, as a CycloneDX bill of materials. Its text depends on nothing but its parts. */
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";

import about from "../../package.json" with { type: "json" };
import type { BundledPackage } from "./licences.ts";
import type { NativePart } from "./native-parts.ts";

export interface Parts {
  readonly packages: ReadonlyArray<BundledPackage>;
  readonly native: ReadonlyArray<NativePart>;
  /** The text of /var/lib/dpkg/status, where it is for an image of Debian. */
  readonly dpkgStatus: string | undefined;
}

export const sbomOf = ({ packages, native, dpkgStatus }: Parts): string => {
  const { Application, Library, Platform } = Enums.ComponentType;
  const bom = new Models.Bom();
  bom.metadata.component = new Models.Component(Application, about.name, {
    version: about.version,
    bomRef: about.name,
    licenses: licences(about.license),
  });
  const add = (type: Enums.ComponentType, name: string, version: string, purl: string, license?: string): void => {
    // One package may be there in two versions.
    const component = new Models.Component(type, name, { version, purl, bomRef: purl, licenses: licences(license) });
    bom.components.add(component);
    bom.metadata.component?.dependencies.add(component.bomRef);
  };
  for (const { name, version, license } of packages) {
    add(Library, name, version, `pkg:npm/${name.replace("@", "%40")}@${version}`, license);
  }
  for (const { name, version, purl, license } of native) {
    add(name === "node" ? Platform : Library, name, version, purl, license);
  }
  for (const { name, version, architecture } of debianPackages(dpkgStatus ?? "")) {
    add(Library, name, version, `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`);
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
};

/** None is told of a Debian package: its texts are in /usr/share/doc. */
const licences = (license: string | undefined): Models.LicenseRepository => {
  if (license === undefined) return new Models.LicenseRepository();
  const isExpression = / (OR|AND|WITH) /.test(license);
  return new Models.LicenseRepository([
    isExpression ? new Models.LicenseExpression(license) : new Models.SpdxLicense(license),
  ]);
};

const debianPackages = (status: string) =>
  status.split("\n\n").flatMap((stanza) => {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
    if (field("Status") !== "install ok installed") return [];
    return [{ name: field("Package"), version: field("Version"), architecture: field("Architecture") }];
  });
