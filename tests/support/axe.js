// What axe finds on a page: a sentence for each node, with the rule that it breaks.
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) =>
    `${id}: ${html.slice(0, 160)} (${failureSummary.split("\n")[1].trim()})`));
}
