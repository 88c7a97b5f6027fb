// Lists of job definitions.

offerFind();

/** In a long list: show the definitions in which every word occurs that is typed. */
function offerFind() {
  const find = document.getElementById("find");
  if (!find) return;
  const text = document.getElementById("find-text"), found = document.getElementById("found");
  const cards = [...document.querySelectorAll("#live .card")].map((card) => [card, card.textContent.toLowerCase()]);
  find.hidden = false;
  const show = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [card, content] of cards) {
      card.hidden = !words.every((word) => content.includes(word));
      count += card.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll("#live .definitions")) section.hidden = !section.querySelector(".card:not([hidden])");
    found.textContent = words.length ? `${count} of ${cards.length}` : "";
  };
  text.addEventListener("input", show);
  show();
}
