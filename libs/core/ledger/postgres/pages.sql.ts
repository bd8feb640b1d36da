/**
 * Pages of the log. Each is one statement, so that the events and the log's end are of one moment: what
 * was not found up to that end is not there.
 *
 * Bytes that are UTF-8 come as text, which is half as long on its way and read in half the time; `bytes`
 * is asked for where the server refuses that for any of them (SQLSTATE 22021 or 22P05).
 */
export interface PageStatement {
  readonly name: string;
  readonly asText: string;
  readonly asBytes: string;
}

/** $1 after, $2 limit. */
export const wholePage = pageWhere('whole_page', 'position > $1', 'position');

/** $1 after, $2 limit, $3 categories, neither `subject` nor `access`: from the index of all the others. */
export const smallPage = pageWhere(
  'small_page',
  `position > $1 and stream not like 'subject-%' and stream not like 'access-%'
     and split_part(stream, '-', 1) = any($3)`,
  'position, stream',
);

/** $1 after, $2 limit, $3 categories, $4 the last position to look at. */
export const windowPage = pageWhere(
  'window_page',
  `position > $1 and position <= $4 and split_part(stream, '-', 1) = any($3)`,
  'position',
);

/** `order`: that of the index which is to serve it, see the sessions' settings. */
function pageWhere(name: string, condition: string, order: string): PageStatement {
  const select = (content: string): string => `
select log_end, position, stream, revision, ${content} as content
  from (select coalesce((select position from ledger.events order by position desc limit 1), 0)) l(log_end)
  left join lateral (
    select position, stream, revision, bytes from ledger.events
      where ${condition} order by ${order} limit $2
  ) e on true
  order by position`;
  return { name, asText: select(`convert_from(bytes, 'UTF8')`), asBytes: select('bytes') };
}
