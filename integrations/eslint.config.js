import babel from "@babel/eslint-parser";
import lwc from "@lwc/eslint-plugin-lwc";

const strict = {
  eqeqeq: "error",
  "no-undef": "error",
  "no-unused-vars": "error",
  "no-implied-eval": "error",
  "no-eval": "error",
};
const browser = { document: "readonly", location: "readonly", window: "readonly" };

export default [
  { ignores: ["**/build/**", "**/node_modules/**"] },
  {
    files: ["zoho/**/*.js"],
    languageOptions: { sourceType: "script", globals: browser },
    rules: strict,
  },
  {
    files: ["salesforce/**/lwc/**/*.js"],
    languageOptions: {
      parser: babel,
      parserOptions: { requireConfigFile: false, babelOptions: { parserOpts: { plugins: ["classProperties", ["decorators", { decoratorsBeforeExport: false }]] } } },
    },
    plugins: { "@lwc/lwc": lwc },
    rules: {
      ...strict,
      "@lwc/lwc/no-async-operation": "error",
      "@lwc/lwc/no-document-query": "error",
      "@lwc/lwc/no-inner-html": "error",
      "@lwc/lwc/no-unknown-wire-adapters": "off",
      "@lwc/lwc/valid-api": "error",
      "@lwc/lwc/no-api-reassignments": "error",
      "@lwc/lwc/no-leading-uppercase-api-name": "error",
    },
  },
];
