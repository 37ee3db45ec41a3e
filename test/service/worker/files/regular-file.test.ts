import { readSmallFile } from "../../../../src/service/worker/files/regular-file.ts";
import { checkFile } from "../../../../src/service/worker/files/safetensors.ts";
import { describeHeaderReader, describeReader } from "../../../support/strange-files.ts";

describeReader((folder, file) => readSmallFile(folder, file, file === "tokenizer.json" ? 64 * 1024 ** 2 : undefined));
describeHeaderReader((folder) => checkFile(folder, "model.safetensors"));
