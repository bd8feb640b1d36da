/**
 * Pages of the log. Each is one statement, so that the events and the log's end are of one moment: what
 * was not found up to that end is not there.
 */

/** $1 after, $2 limit. */
export const wholePage = `
select log_end, position, stream, revision, bytes
  from (select coalesce((select position from ledger.events order by position desc limit 1), 0)) l(log_end)
  left join lateral (
    select position, stream, revision, bytes from ledger.events
      where position > $1 order by position limit $2
  ) e on true
  order by position
`;

/** $1 after, $2 limit, $3 categories, none of them \`subject\` or \`access\`: read from the index of the others. */
export const smallPage = `
select log_end, position, stream, revision, bytes
  from (select coalesce((select position from ledger.events order by position desc limit 1), 0)) l(log_end)
  left join lateral (
    select position, stream, revision, bytes from ledger.events
      where position > $1 and stream not like 'subject-%' and stream not like 'access-%'
        and split_part(stream, '-', 1) = any($3)
      order by position limit $2
  ) e on true
  order by position
`;

/** $1 after, $2 limit, $3 categories, $4 the last position to look at, so that no page takes for ever. */
export const windowPage = `
select log_end, position, stream, revision, bytes
  from (select coalesce((select position from ledger.events order by position desc limit 1), 0)) l(log_end)
  left join lateral (
    select position, stream, revision, bytes from ledger.events
      where position > $1 and position <= $4 and split_part(stream, '-', 1) = any($3)
      order by position limit $2
  ) e on true
  order by position
`;
