import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['.venv/**', 'var/**', 'static/vendor/**', 'node_modules/**'] },
  js.configs.recommended,
  {
    files: ['static/js/**/*.js'],
    languageOptions: { globals: { ...globals.browser, htmx: 'readonly' } },
    rules: {
      'no-var': 'error',
      'prefer-const': 'error',
      eqeqeq: 'error',
      'no-implicit-globals': 'error',
      'no-eval': 'error',
      'no-shadow': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'max-lines': ['error', 300],
      complexity: ['error', 16],
    },
  },
  {
    // The server puts its constants before it (curation/annotation/judge_page/service_worker.py).
    files: ['**/service_worker.js'],
    languageOptions: {
      sourceType: 'script',
      globals: { ...globals.serviceworker },
    },
    rules: { 'no-implicit-globals': 'off' },
  },
  { files: ['tests/js/**/*.js', 'eslint.config.js'], languageOptions: { globals: { ...globals.node } } },
];
