interface JSON {
  /** ECMAScript proposal `JSON.parse source text access`, in Node.js since 21. */
  rawJSON(text: string): { readonly rawJSON: string }
  isRawJSON(value: unknown): value is { readonly rawJSON: string }
}
