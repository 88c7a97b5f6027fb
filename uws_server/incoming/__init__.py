"""What both doors read of a request: who asks, from which site, and the fields and files of a form."""
