// Every element with data-id can be chosen by mouse or keyboard; the page's details follow.
const choose = (node) => {
  element.querySelectorAll('[aria-pressed]').forEach((other) => other.setAttribute('aria-pressed', 'false'));
  node.setAttribute('aria-pressed', 'true');
  trigger('select', { id: node.dataset.id });
};
element.addEventListener('click', (event) => {
  const node = event.target.closest('[data-id]');
  if (node) choose(node);
});
element.addEventListener('keydown', (event) => {
  // A real button turns Enter into a click by itself.
  if (event.target.tagName === 'BUTTON' || !event.target.matches('[data-id]')) return;
  if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  choose(event.target);
});
