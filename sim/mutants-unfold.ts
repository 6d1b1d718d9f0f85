import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import type { Edit } from "./mutant.js";

/** The checkout, seen from the built file. */
const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const BUILT = join(CHECKOUT, ".sim");

/** In the checkout, so that packages are found from there; and where nothing is linted, formatted or committed. */
const COPIES = join(BUILT, "mutants");

/** A built copy of the engine and the simulation, to run in. */
export interface Copy extends Disposable {
  /** A module of `sim` in it. */
  readonly module: (name: string) => string;
}

/** A copy of the sources and their tests, to run tests in. */
export interface SourceCopy extends Disposable {
  readonly folder: string;
}

/** The sources after all edits, by file. Each edit must fit in exactly one place. */
export function editedSources(mutant: string, edits: readonly Edit[]): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const source = sources.get(file) ?? readFileSync(join(CHECKOUT, "src", file), "utf8");
    const places = source.split(find).length - 1;
    if (places !== 1)
      throw new Error(
        `mutant "${mutant}" no longer fits src/${file}: what it takes out is there ${places} times:\n${find}`,
      );
    sources.set(
      file,
      source.replace(find, () => replace),
    );
  }
  return sources;
}

/** Copies what is built, with these edits in it. */
export function unfold(mutant: string, edits: readonly Edit[]): Copy {
  const sources = editedSources(mutant, edits);
  const folder = join(COPIES, mutant.replaceAll(/[^a-z0-9]+/gi, "-"));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  dispose();
  mkdirSync(folder, { recursive: true });
  for (const part of ["src", "sim"]) cpSync(join(BUILT, part), join(folder, part), { recursive: true });
  for (const [file, source] of sources)
    writeFileSync(join(folder, "src", file.replace(/\.ts$/, ".js")), transpiled(file, source));
  return { module: (name) => join(folder, "sim", name), [Symbol.dispose]: dispose };
}

/** Copies the sources, with these edits in them. */
export function unfoldSources(mutant: string, edits: readonly Edit[]): SourceCopy {
  const folder = join(COPIES, `${mutant.replaceAll(/[^a-z0-9]+/gi, "-")}-sources`);
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  dispose();
  mkdirSync(folder, { recursive: true });
  for (const part of ["src", "test", "vitest.config.ts", "package.json", "tsconfig.json"])
    cpSync(join(CHECKOUT, part), join(folder, part), { recursive: true });
  for (const [file, source] of editedSources(mutant, edits)) writeFileSync(join(folder, "src", file), source);
  return { folder, [Symbol.dispose]: dispose };
}

function transpiled(file: string, source: string): string {
  const { outputText, diagnostics = [] } = ts.transpileModule(source, {
    fileName: file,
    reportDiagnostics: true,
    // As in tsconfig.json; the module format cannot be told from the file's place here.
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      isolatedModules: true,
    },
  });
  const [first] = diagnostics;
  if (first !== undefined)
    throw new Error(`src/${file}: ${ts.flattenDiagnosticMessageText(first.messageText, "\n")}`);
  return outputText;
}
