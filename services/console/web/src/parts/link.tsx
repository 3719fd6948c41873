// A link to another page of the console, followed without loading anything anew.
import type { ComponentChildren } from "preact";
import { go } from "../router";

interface LinkProperties {
  to: string;
  children: ComponentChildren;
  class?: string;
  "aria-current"?: "page" | undefined;
  "aria-label"?: string;
}

export function Link({ to, ...others }: LinkProperties) {
  const follow = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  return <a href={to} onClick={follow} {...others} />;
}
