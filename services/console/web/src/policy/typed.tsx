// A field that keeps what is being typed, however often the page is drawn anew, and tells of it when it is done.
import { useSignal } from "@preact/signals";

interface TypedProperties {
  value: string | number;
  onDone: (value: string) => void;
  type?: "number";
  min?: number;
  max?: number;
  step?: number;
  maxLength?: number;
  "aria-label"?: string;
}

export function Typed({ value, onDone, type, ...others }: TypedProperties) {
  const typed = useSignal<string | null>(null);
  const given = {
    ...others,
    value: typed.value ?? value,
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      typed.value = event.currentTarget.value;
    },
    onChange: (event: { currentTarget: HTMLInputElement }) => {
      typed.value = null;
      onDone(event.currentTarget.value);
    },
  };
  return type === "number" ? <input type="number" {...given} /> : <input type="text" {...given} />;
}
