// The modules that core.test.mjs looks at, together.
export * from "../src/app/core/filter";
export * from "../src/app/core/form";
export * from "../src/app/core/format";
export * from "../src/app/core/graph";
export * from "../src/app/core/json";
