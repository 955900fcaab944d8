// Seals: what somebody changes behind the store's back shows, and where.
#include "stele/seal.h"
#include "support.h"

namespace stele::testing {
namespace {

std::string text(const ChainReport& report) {
  std::string text;
  for (const ChainFault& fault : report.faults) {
    text += std::string(to_string(fault.kind)) + " " + (fault.stream ? fault.stream->to_string() : "") + " version " +
            std::to_string(fault.version.value()) + " position " + std::to_string(fault.position.value()) + ": " +
            fault.what + "\n";
  }
  return text;
}

/// Stream a: positions 1 to 6, {"n":1} … {"n":6}; stream b: 7 to 9.
void fill(EventStore& store) {
  store.append(thing("a"), ExpectedVersion::any(), events(6)).or_throw();
  store.append(thing("b"), ExpectedVersion::any(), events(3)).or_throw();
}

void a_store_that_nobody_touched_is_fine(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_TRUE(verify_chain(store).ok());
  EXPECT_EQ(seal_log(store).seals, 0);
  EXPECT_FALSE(make_checkpoint(store, "books"));
  for (int i = 0; i < 6; ++i) {
    const std::string id = std::to_string(i % 4);
    store
        .append(request(
            command("r-" + std::to_string(i)), thing(id), ExpectedVersion::any(),
            {full_event(2 * i), event("plain", R"({"x":1.50,"y":12345678901234567890})"), full_event(2 * i + 1)}))
        .or_throw();
    if (i % 2 == 0) {
      EXPECT_GT(seal_log(store, 2).events, 0);
    }
  }
  store.append(StreamKey("acme", "thing", "0"), ExpectedVersion::any(), events(2)).or_throw();
  const std::string before = contents(store);
  const ChainReport partly = verify_chain(store);
  EXPECT_EQ(text(partly), "");
  EXPECT_EQ(partly.events, 15);
  EXPECT_EQ(partly.events_unsealed, 5);
  const SealResult sealed = seal_log(store);
  EXPECT_EQ(sealed.events, 5);
  EXPECT_EQ(seal_log(store).events, 0);
  const ChainReport report = verify_chain(store, {.checkpoint = make_checkpoint(store, "books")});
  EXPECT_EQ(text(report), "");
  EXPECT_EQ(report.events, 20);
  EXPECT_EQ(report.events_unsealed, 0);
  EXPECT_EQ(contents(store), before);
  EXPECT_TRUE(store.verify().ok());
  expect_error(ErrorCode::invalid_argument, "max_faults", [&] { verify_chain(store, {.max_faults = 0}); });
  expect_error(ErrorCode::invalid_argument, "events_in_a_seal", [&] { seal_log(store, 0); });
}

void what_a_superuser_does_is_named(Harness& harness) {
  if (!harness.has(Capability::governance)) return;  // forgeries() needs both.
  struct Wanted {
    std::string script;
    ChainFault::Kind kind;
    Version version;
    Position position;
  };
  const std::vector<Wanted> all = {
      {"a byte flipped", ChainFault::Kind::changed, Version(3), Position(3)},
      {"a time changed", ChainFault::Kind::changed, Version(3), Position(3)},
      {"a row deleted", ChainFault::Kind::removed, Version(3), Position(3)},
      {"two exchanged", ChainFault::Kind::reordered, Version(2), Position(4)},
      {"the last row deleted", ChainFault::Kind::removed, Version(0), Position(9)},
  };
  std::size_t tried = 0;
  for (const Wanted& wanted : all) {
    SCOPED_TRACE(wanted.script);
    const std::unique_ptr<Harness> fresh = another_harness();
    EventStore store = open_store(*fresh);
    fill(store);
    seal_log(store, 4);
    ASSERT_EQ(positions(log_events(store)), numbers(1, 9));
    for (const RawScript& script : fresh->forgeries()) {
      if (script.name != wanted.script) continue;
      ++tried;
      for (const std::string& statement : script.statements) ASSERT_EQ(fresh->raw_sql(statement), "") << statement;
    }
    const ChainReport report = verify_chain(store);
    ASSERT_FALSE(report.ok());
    const ChainFault& first = report.faults.front();
    EXPECT_EQ(first.kind, wanted.kind) << text(report);
    EXPECT_EQ(first.version, wanted.version) << text(report);
    EXPECT_EQ(first.position, wanted.position) << text(report);
    if (wanted.version > Version(0)) {
      EXPECT_EQ(first.stream, thing("a")) << text(report);
    }
    // Who asks for one fault is not told one more, of a seal that was not read to its end.
    const ChainReport one = verify_chain(store, {.max_faults = 1});
    ASSERT_EQ(one.faults.size(), 1u) << text(one);
    EXPECT_EQ(one.faults[0].kind, wanted.kind) << text(one);
    EXPECT_EQ(one.faults[0].position, wanted.position) << text(one);
  }
  EXPECT_EQ(tried, all.size());
}

// There are places in the log that nobody has: an append that was rolled back had them.
void what_is_inserted_into_a_sealed_place_is_named(Harness& harness) {
  if (!harness.has(Capability::governance) || !harness.has(Capability::positions)) return;
  const std::unique_ptr<Harness> fresh = another_harness();
  fresh->skip_positions_to(Position(20));
  EventStore store = open_store(*fresh);
  fill(store);
  seal_log(store, 4);
  ASSERT_EQ(positions(log_events(store)), numbers(21, 29));
  ASSERT_EQ(text(verify_chain(store)), "");
  std::size_t tried = 0;
  for (const RawScript& script : fresh->forgeries()) {
    if (script.name != "an event inserted") continue;
    ++tried;
    for (const std::string& statement : script.statements) ASSERT_EQ(fresh->raw_sql(statement), "") << statement;
  }
  ASSERT_EQ(tried, 1u);
  const ChainReport report = verify_chain(store);
  ASSERT_FALSE(report.ok());
  const ChainFault& first = report.faults.front();
  EXPECT_EQ(first.kind, ChainFault::Kind::inserted) << text(report);
  EXPECT_EQ(first.stream, thing("a")) << text(report);
  EXPECT_EQ(first.version, Version(7)) << text(report);
  EXPECT_EQ(first.position, Position(10)) << text(report);
}

// Who can write everything can compute everything anew, but not what is kept elsewhere.
void a_checkpoint_shows_what_the_database_cannot(Harness& harness) {
  EventStore store = open_store(harness);
  fill(store);
  seal_log(store);
  const Checkpoint checkpoint = make_checkpoint(store, "books").value();
  EXPECT_EQ(checkpoint.events, 9);
  EXPECT_EQ(checkpoint.store, "books");
  EXPECT_EQ(parse_checkpoint(to_json_line(checkpoint)), checkpoint);
  store.append(thing("a"), ExpectedVersion::any(), events(2)).or_throw();
  seal_log(store);
  EXPECT_EQ(text(verify_chain(store, {.checkpoint = checkpoint})), "");

  // Another history, right in itself.
  const std::unique_ptr<Harness> elsewhere = another_harness();
  EventStore forged = open_store(*elsewhere);
  fill(forged);
  seal_log(forged);
  EXPECT_TRUE(verify_chain(forged).ok());
  EXPECT_FALSE(verify_chain(forged, {.checkpoint = checkpoint}).ok());
  // One that was cut off.
  const std::unique_ptr<Harness> third = another_harness();
  EventStore cut = open_store(*third);
  cut.append(thing("a"), ExpectedVersion::any(), events(1)).or_throw();
  EXPECT_TRUE(verify_chain(cut).ok());
  const ChainReport report = verify_chain(cut, {.checkpoint = checkpoint});
  ASSERT_EQ(report.faults.size(), 1u);
  EXPECT_EQ(report.faults.front().kind, ChainFault::Kind::removed);
}

void several_seal_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<AppendRequest> requests;
  for (int i = 0; i < 200; ++i) {
    requests.push_back(request(thing(std::to_string(i % 7)), ExpectedVersion::any(), events(1, i)));
  }
  store.append_all(requests);
  std::vector<EventStore> stores;
  for (int i = 0; i < 4; ++i) stores.push_back(open_store(harness));
  std::atomic<std::int64_t> sealed{0};
  in_threads(5, [&](int n) {
    if (n == 4) {
      for (int i = 0; i < 20; ++i) {
        store.append(thing(std::to_string(i % 7)), ExpectedVersion::any(), events(1)).or_throw();
      }
      return;
    }
    for (int i = 0; i < 3; ++i) sealed += seal_log(stores.at(static_cast<std::size_t>(n)), 10).events;
  });
  sealed += seal_log(store).events;
  EXPECT_EQ(sealed, 220);
  const ChainReport report = verify_chain(store);
  EXPECT_EQ(text(report), "");
  EXPECT_EQ(report.events, 220);
}

void it_is_the_whole_stores(Harness& harness) {
  EventStore tenant(driver::for_tenant(harness.open(), "acme"));
  expect_error(ErrorCode::permission_denied, "tenant", [&] { seal_log(tenant); });
  expect_error(ErrorCode::permission_denied, "tenant", [&] { verify_chain(tenant); });
  expect_error(ErrorCode::permission_denied, "", [&] { tenant.driver().last_seal(); });
  EventStore masked(harness.open(), {.clearance = Clearance::full});
  expect_error(ErrorCode::permission_denied, "clearance", [&] { seal_log(masked); });
  expect_error(ErrorCode::permission_denied, "clearance", [&] { verify_chain(masked); });
}

// Ciphertexts are what is hashed: the chain outlives the keys.
void forgetting_breaks_no_chain(Harness& harness) {
  ::setenv("STELE_CONFORMANCE_CHAIN_KEYS", new_master_key_line("k").c_str(), 1);
  EventStore store(harness.open(), {.keys = environment_key_provider("STELE_CONFORMANCE_CHAIN_KEYS")});
  NewEvent made = event("registered", R"({"name":"Erika"})");
  made.personal = PersonalData{"erika", {}};
  store.append(thing("a"), ExpectedVersion::any(), {made, event()}).or_throw();
  seal_log(store);
  store.forget(std::string(default_tenant), "erika");
  EXPECT_EQ(text(verify_chain(store)), "");
  EXPECT_EQ(seal_log(store).events, 2) << "the notices";
  EXPECT_EQ(text(verify_chain(store)), "");
}

constexpr Capability governed = Capability::governance;
constexpr Case cases[] = {
    {"API", "a_store_that_nobody_touched_is_fine", governed, a_store_that_nobody_touched_is_fine},
    {"API", "what_a_superuser_does_is_named", Capability::corruption, what_a_superuser_does_is_named},
    {"API", "what_is_inserted_into_a_sealed_place_is_named", Capability::corruption,
     what_is_inserted_into_a_sealed_place_is_named},
    {"API", "a_checkpoint_shows_what_the_database_cannot", governed, a_checkpoint_shows_what_the_database_cannot},
    {"API", "several_seal_at_once", governed, several_seal_at_once},
    {"G14", "it_is_the_whole_stores", governed, it_is_the_whole_stores},
    {"API", "forgetting_breaks_no_chain", governed, forgetting_breaks_no_chain},
};

}  // namespace

std::span<const Case> chain_cases() {
  return cases;
}

}  // namespace stele::testing
