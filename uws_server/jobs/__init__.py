"""Values: phases and their legal transitions, jobs, parameters, job definitions. Imports only the errors."""
