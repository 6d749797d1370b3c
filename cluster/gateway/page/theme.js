// Which colours are used before anything is drawn: those chosen here last, or those that
// the system prefers.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem('pmmc-theme'); } catch { /* it may be forbidden */ }
  const dark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
