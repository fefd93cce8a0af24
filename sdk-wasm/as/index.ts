// What `import … from "@heddle-rt/plugin"` finds: the compiler looks at the root of a package.
export * from "./assembly/index";
