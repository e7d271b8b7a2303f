import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-unused-vars": ["error", { caughtErrors: "none" }],
  "no-console": "error",
  // The rule reports fields that are only set with ??= as unused.
  "no-unused-private-class-members": "off",
};

export default [
  { ignores: ["node_modules/**", "web-ext-artifacts/**"] },
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: { ...globals.browser, ...globals.webextensions },
    },
    rules,
  },
  { files: ["content/*.js"], languageOptions: { sourceType: "script" } },
  { files: ["tests/**/*.js", "eslint.config.js"], languageOptions: { globals: globals.node } },
];
