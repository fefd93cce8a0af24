// What `export * from "@heddle-rt/plugin/exports"` finds.
export * from "./assembly/exports";
