// A plugin with a function that the events of the benchmark are not for.
import { on } from "@heddle-rt/plugin";
export * from "@heddle-rt/plugin/exports";

on("order:created", (event) => {
  event.forbid("closed");
});
on("order:seen", (_) => {});
