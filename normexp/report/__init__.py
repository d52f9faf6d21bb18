"""From runs to answers: statistics, tables, figures and a page. No torch."""
