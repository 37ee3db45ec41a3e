// npm run licences: fails where a package has a licence that is not on the list (scripts/supply/licences.ts).
import lock from "../package-lock.json" with { type: "json" };
import { licenceProblems } from "./supply/licences.ts";

const problems = licenceProblems(lock.packages);
for (const problem of problems) console.error(problem);
console.log(`${Object.keys(lock.packages).length - 1} packages, ${problems.length} with a licence to look at`);
process.exitCode = problems.length === 0 ? 0 : 1;
