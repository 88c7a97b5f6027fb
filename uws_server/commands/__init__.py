"""The commands of `uws-server`: one module each, whose `configure` adds the arguments when the command is named;
and what they have in common."""
