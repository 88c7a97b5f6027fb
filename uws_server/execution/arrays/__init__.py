"""Arrays: one job that runs its script once for each value of the parameter it is spread over.

The folder is the interface. To the queue an array is one job with one supervisor and one claim: the command in its
`launch.json` is the `driver`, which runs the parts side by side, each under a supervisor (`workers`). Whatever else
runs the parts (a job array of a cluster) reads and writes the same files::

    <job>/parameters.json   as of any job: the spread parameter has all its values
          launch.json       as of any job: the command is the driver; limits of time and disk are those of the whole
          parts.json        the plan (`plan.Plan`): the value of each part, what all have in common, the last script
          width             how many parts may run at a time (`sharing`), replaced at any time by who schedules
          held              how many places the driver holds and could use (`sharing`), replaced by the driver
          tasks             is there where a job array of a cluster runs the parts: the driver, which comes after them,
                            begins none
          parts.log         one JSON object a line, appended (`journal`): a part began, a part ended and how
          parts/0001/       a job's folder in small, one for each value, counted from 1, at least four digits:
            parameters.json     the one value, as a scalar; `job.part` is the number
            launch.json         the script of the definition, limits of memory and log; the whole has the others
            shepherd.json       the claim of its supervisor: a part never runs twice
            job.log, stdout.log, stderr.log, usage.json, results/, steps.json, status.json    as in any job's folder
          gathered/         likewise, for the last script; it runs once, after the last part, if one succeeded
            parts.json          the parts: number, input, phase, sentence, paths of results (`gathering.listing`)

Of what is written in a part's folder nothing is prepared before the part begins (`plan.prepare`, which does nothing to
a part that is prepared); then `supervisor.supervise` runs it, and returns at once if another one has claimed it. How a
part ended is what `verdict.of_part` says of its folder, never what `parts.log` says: that is for who looks on. Results
stay where the part left them.

To run part N of a job by hand, as the task of a cluster does: `python -m uws_server.execution.arrays.part FOLDER N`,
and the last script: `python -m uws_server.execution.arrays.part FOLDER gathered`.
"""
