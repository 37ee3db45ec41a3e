/** Validates names of repositories and revisions before the hub is asked. */
import { Result } from "effect";

import { InvalidField } from "../../domain/errors.ts";

const maxRepositoryLength = 96;

/**
 * `organisation/name`, by the hub's own rules. They ensure that a name cannot leave its folder, and that
 * `organisation--name` maps back to one repository.
 */
export const checkRepository = (repository: string): Result.Result<string, InvalidField> => {
  const problem = problemOf(repository);
  return problem === undefined ? Result.succeed(repository) : refused("model", repository, problem);
};

/** A branch, a tag or a commit. */
export const checkRevision = (revision: string): Result.Result<string, InvalidField> =>
  revisionForm.test(revision) && !revision.includes("..") && !revision.includes("//")
    ? Result.succeed(revision)
    : refused("revision", revision, "a revision is a branch, a tag or a commit: letters, digits and . _ - /");

/** The name of the folder for a repository's model. */
export const folderOf = (repository: string): string => repository.replace("/", "--");

const revisionForm = /^[A-Za-z0-9_]([A-Za-z0-9._/-]{0,254}[A-Za-z0-9_])?$/;
const partForm = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$/;

const problemOf = (repository: string): string | undefined => {
  if (repository.length > maxRepositoryLength) {
    return `it has ${repository.length} characters; a repository's name has ${maxRepositoryLength} at most`;
  }
  const parts = repository.split("/");
  if (parts.length !== 2) return "a repository is organisation/name, with one slash";
  if (!parts.every((part) => partForm.test(part))) {
    return "organisation and name have letters, digits and . _ - and neither begin nor end with . or -";
  }
  if (repository.includes("--") || repository.includes("..")) return "a repository's name has no -- and no ..";
  if (repository.endsWith(".git")) return "a repository's name does not end with .git";
  return undefined;
};

/** Long or unprintable names are not repeated in full. */
const refused = (field: string, value: string, problem: string) => {
  const shown = JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
  return Result.fail(
    new InvalidField({ violations: [{ field, description: `${shown} cannot be downloaded: ${problem}` }] }),
  );
};
