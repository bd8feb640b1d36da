/**
 * Appends a group of requests in one round trip and one transaction, with a verdict for each.
 *
 * The turn is taken first and held to the end of the transaction. Whatever is looked up afterwards can
 * therefore not change underneath; verdicts are computed and never found out by a failing insert, so
 * that one conflict does not fail its neighbours; nobody can wait in a circle; and positions become
 * visible in their order. Requests of one stream work in the order given, each seeing those before it.
 * No event may occur twice within a group: the caller sends the second in the next one.
 *
 * An attempt whose answer was lost may still be on its way to the database. Who sends its requests again
 * names it in \`abandons\`: from that commit on it can write nothing, so that the second answer is final.
 *
 * Numbers per request: its stream (place in \`streams\`), what it expects (a revision, or -1 none,
 * -2 exists, -3 any) and how many events it has. Numbers per event: where its piece of \`contents\` starts
 * (from 1; one more for the end) and how long its head is. A piece is digest (32 bytes), head, tail.
 *
 * Verdicts: appended, repeated, wrong-revision (\`revisions\` has the actual one, null for no stream),
 * other-content and partial-overlap (\`culprits\` has the event's number). \`positions\` is per event.
 *
 * Look-ups are said as ranges in the order of the index that is to serve them, with sorting forbidden:
 * there is then no other plan, however small the log was when the plan was made.
 *
 * Runs with its owner's rights: the role that appends can insert in no other way.
 */
export const appendEvents = `
create function ledger.append_events(
  attempt uuid,
  abandons uuid[],
  streams text[],
  request_streams integer[],
  request_expects integer[],
  request_sizes integer[],
  ids uuid[],
  types text[],
  starts integer[],
  head_lengths integer[],
  contents bytea,
  out verdicts text[],
  out revisions integer[],
  out recorded_at text[],
  out culprits integer[],
  out positions bigint[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  requests constant integer := cardinality(request_streams);
  events constant integer := cardinality(ids);
  -- Per stream: its last revision, null where there is no such stream.
  last_revisions integer[];
  -- Per event: its stream, and what is stored under its id.
  event_streams integer[] := array_fill(null::integer, array[events]);
  stored_revisions integer[];
  stored_positions bigint[];
  stored_times timestamptz[];
  stored_equal boolean[];
  any_stored boolean;
  -- Per event: where it goes, null where it is not written.
  new_revisions integer[] := array_fill(null::integer, array[events]);
  new_positions bigint[] := array_fill(null::bigint, array[events]);
  last_position bigint;
  last_time timestamptz;
  stamp_time timestamptz;
  stamp text;
  stream_number integer;
  first_event integer := 1;
  last_event integer;
  found_events integer;
  in_order boolean;
  culprit integer;
  verdict text;
  wrote boolean := false;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'append_events must see what was committed before its turn: read committed only';
  end if;

  perform from ledger.turn for update;
  if not found then
    raise exception 'ledger.turn has lost its row';
  end if;

  if cardinality(abandons) > 0 then
    insert into ledger.abandoned (attempt) select unnest(abandons) on conflict do nothing;
    delete from ledger.abandoned a where a.at < clock_timestamp() - interval '1 day';
  end if;
  perform from ledger.abandoned a where a.attempt = append_events.attempt;
  if found then
    raise exception 'attempt % was abandoned', append_events.attempt;
  end if;

  select e.position, e.recorded_at into last_position, last_time
    from ledger.events e order by e.position desc limit 1;
  last_position := coalesce(last_position, 0);
  stamp_time := date_trunc('milliseconds', clock_timestamp());
  if last_time > stamp_time then stamp_time := last_time; end if;
  stamp := to_char(stamp_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

  select array_agg(
      (select e.revision from ledger.events e where e.stream = s.stream order by e.revision desc limit 1)
      order by s.number)
    into last_revisions
    from unnest(streams) with ordinality s(stream, number);

  for request in 1 .. requests loop
    last_event := first_event + request_sizes[request] - 1;
    for event in first_event .. last_event loop
      event_streams[event] := request_streams[request];
    end loop;
    first_event := last_event + 1;
  end loop;

  select array_agg(e.revision order by n.number), array_agg(e.position order by n.number),
      array_agg(e.recorded_at order by n.number),
      array_agg(e.digest = substring(contents from n.start for 32) order by n.number),
      count(e.revision) > 0
    into stored_revisions, stored_positions, stored_times, stored_equal, any_stored
    from unnest(ids, event_streams, starts[:events]) with ordinality n(id, stream, start, number)
    left join lateral (
      select o.revision, o.position, o.recorded_at, o.digest from ledger.events o
        where last_revisions[n.stream] is not null
          and (o.stream, o.id) >= (streams[n.stream], n.id)
          and (o.stream, o.id) <= (streams[n.stream], n.id)
        order by o.stream, o.id limit 1
    ) e on true;

  verdicts := array_fill(null::text, array[requests]);
  revisions := array_fill(null::integer, array[requests]);
  recorded_at := array_fill(null::text, array[requests]);
  culprits := array_fill(null::integer, array[requests]);
  positions := array_fill(null::bigint, array[events]);

  first_event := 1;
  for request in 1 .. requests loop
    last_event := first_event + request_sizes[request] - 1;
    stream_number := request_streams[request];
    found_events := 0;
    culprit := null;
    in_order := true;
    if any_stored then
      for event in first_event .. last_event loop
        if stored_revisions[event] is not null then
          found_events := found_events + 1;
          if culprit is null or (not stored_equal[event] and stored_equal[culprit]) then
            culprit := event;
          end if;
        end if;
        if event > first_event
            and stored_revisions[event] is distinct from stored_revisions[event - 1] + 1 then
          in_order := false;
        end if;
      end loop;
    end if;

    if found_events = 0 then
      verdict := case request_expects[request]
        when -3 then 'appended'
        when -2 then case when last_revisions[stream_number] is null then 'wrong-revision' else 'appended' end
        when -1 then case when last_revisions[stream_number] is null then 'appended' else 'wrong-revision' end
        else case when last_revisions[stream_number] = request_expects[request] then 'appended' else 'wrong-revision' end
      end;
    elsif not stored_equal[culprit] then
      verdict := 'other-content';
    elsif found_events < request_sizes[request] or not in_order then
      verdict := 'partial-overlap';
    else
      verdict := 'repeated';
    end if;
    verdicts[request] := verdict;

    case verdict
      when 'appended' then
        for event in first_event .. last_event loop
          last_position := last_position + 1;
          last_revisions[stream_number] := coalesce(last_revisions[stream_number] + 1, 0);
          new_positions[event] := last_position;
          new_revisions[event] := last_revisions[stream_number];
          positions[event] := last_position;
        end loop;
        wrote := true;
        revisions[request] := last_revisions[stream_number];
        recorded_at[request] := stamp;
      when 'repeated' then
        for event in first_event .. last_event loop
          positions[event] := stored_positions[event];
        end loop;
        revisions[request] := stored_revisions[last_event];
        recorded_at[request] :=
          to_char(stored_times[last_event] at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
      when 'wrong-revision' then
        revisions[request] := last_revisions[stream_number];
      else
        culprits[request] := culprit;
    end case;
    first_event := last_event + 1;
  end loop;

  if wrote then
    insert into ledger.events (position, stream, revision, id, type, recorded_at, digest, bytes)
    select n.position, streams[n.stream], n.revision, n.id, n.type, stamp_time,
        substring(contents from n.start for 32),
        substring(contents from n.start + 32 for n.head)
          || convert_to('"recordedAt":"' || stamp || '","revision":' || n.revision, 'UTF8')
          || substring(contents from n.start + 32 + n.head for n.next - n.start - 32 - n.head)
      from unnest(new_positions, event_streams, new_revisions, ids, types, starts[:events], head_lengths, starts[2:])
        n(position, stream, revision, id, type, start, head, next)
      where n.position is not null;
  end if;
end $$;
`;
