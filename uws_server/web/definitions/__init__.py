"""The pages of job definitions: what there is, the editor, drafts and their trials, differences of versions."""
