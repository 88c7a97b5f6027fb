"""The pages of job definitions: the list, the editor, drafts and their trials, differences of versions."""
