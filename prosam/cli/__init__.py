"""Commands that use a trained model. What is heavy is imported when one runs, so that --help is quick."""
