// Tenants: a store that is opened for one of them neither reads nor writes another's anything, whatever is tried.
#include "stele/driver/driver.h"
#include "stele/projection.h"
#include "stele/subscription.h"
#include "support.h"

namespace stele::testing {
namespace {

using Ids = std::vector<std::string>;

StreamKey of(std::string tenant, std::string id) {
  StreamKey key = thing(std::move(id));
  key.tenant = std::move(tenant);
  return key;
}

Command command_of(std::string tenant, std::string request_id) {
  Command made = command(std::move(request_id));
  made.key.tenant = std::move(tenant);
  return made;
}

/// The same database seen as a whole, and by two tenants that both have a stream `a` and a request `r`.
struct Shared {
  explicit Shared(Harness& harness)
      : whole(harness.open()),
        acme(driver::for_tenant(harness.open(), "acme")),
        rival(driver::for_tenant(harness.open(), "rival")) {
    NewEvent secret = event("plan", R"({"secret":42})");
    secret.event_id = uuid(1);
    secret.correlation_id = uuid(50);
    AppendRequest of_acme =
        request(command_of("acme", "r"), of("acme", "a"), ExpectedVersion::any(), {secret, event()});
    acme.append(of_acme).or_throw();
    AppendRequest of_rival =
        request(command_of("rival", "r"), of("rival", "a"), ExpectedVersion::any(), {event("other")});
    rival.append(of_rival).or_throw();
    whole.append(thing("a"), ExpectedVersion::any(), events(1)).or_throw();
  }
  EventStore whole;
  EventStore acme;
  EventStore rival;
};

template <class Call>
void expect_refused(Call&& call) {
  expect_error(ErrorCode::permission_denied, "rival", std::forward<Call>(call));
}

void each_has_its_own(Harness& harness) {
  Shared shared(harness);
  EXPECT_EQ(shared.acme.tenant(), "acme");
  EXPECT_FALSE(shared.whole.tenant());
  EXPECT_EQ(stream_events(shared.acme, of("acme", "a")).size(), 2u);
  EXPECT_EQ(stream_events(shared.rival, of("rival", "a")).size(), 1u);
  EXPECT_EQ(shared.acme.find_command(command_of("acme", "r").key).value().outcome.size(), 1u);
  EXPECT_EQ(shared.acme.stream_version(of("acme", "a")), Version(2));
  StreamListOptions list;
  list.tenant = "acme";
  EXPECT_EQ(shared.acme.list_streams(list).size(), 1u);
  EXPECT_EQ(log_events(shared.whole).size(), 4u);
}

void another_tenants_streams_are_refused(Harness& harness) {
  Shared shared(harness);
  const StreamKey key = of("acme", "a");
  expect_nothing_written(shared.whole, [&] {
    expect_refused([&] { shared.rival.append(key, ExpectedVersion::any(), events(1)); });
    expect_refused([&] { shared.rival.append(key, ExpectedVersion::exactly(7), events(1)); });
    const std::vector<AppendRequest> several{request(of("rival", "b"), ExpectedVersion::any(), events(1)),
                                             request(key, ExpectedVersion::any(), events(1))};
    expect_refused([&] { shared.rival.append_all(several); });
    expect_refused([&] { shared.rival.record_command(command_of("acme", "r-2")); });
    // A condition on another's stream would tell its version.
    AppendRequest spying = request(of("rival", "a"), ExpectedVersion::any(), events(1));
    spying.conditions.push_back({key, ExpectedVersion::exactly(2)});
    expect_error(ErrorCode::invalid_argument, "tenant", [&] { shared.rival.append(spying); });
  });
  expect_refused([&] { stream_events(shared.rival, key); });
  expect_refused([&] { shared.rival.stream_info(key); });
  expect_refused([&] { shared.rival.stream_version(key); });
  StreamListOptions list;
  list.tenant = "acme";
  expect_refused([&] { shared.rival.list_streams(list); });
  list.tenant = std::string(default_tenant);
  expect_refused([&] { shared.rival.list_streams(list); });
  expect_refused([&] { shared.rival.stats(); });
  expect_refused([&] { shared.rival.verify(); });
}

void another_tenants_events_are_not_found(Harness& harness) {
  Shared shared(harness);
  EXPECT_TRUE(shared.acme.find_event(uuid(1)));
  EXPECT_FALSE(shared.rival.find_event(uuid(1)));
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    LogReadOptions read;
    read.direction = direction;
    const std::vector<RecordedEvent> all = log_events(shared.rival, read);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all.front().stream, of("rival", "a"));
  }
  // By position, by correlation, by causation.
  const std::vector<RecordedEvent> secrets = log_events(shared.acme);
  ASSERT_EQ(secrets.size(), 2u);
  LogReadOptions at;
  at.after = Position(secrets.front().position.value() - 1);
  at.before = Position(secrets.back().position.value() + 1);
  EXPECT_TRUE(log_events(shared.rival, at).empty());
  EXPECT_TRUE(log_events(shared.rival, {.filter = {.correlation_id = uuid(50)}}).empty());
  EXPECT_TRUE(log_events(shared.rival, {.filter = {.causation_id = secrets.front().causation_id}}).empty());
  expect_refused([&] { log_events(shared.rival, {.filter = {.tenant = "acme"}}); });
}

void another_tenants_ids_give_nothing_away(Harness& harness) {
  Shared shared(harness);
  // The same event, word for word, is no repetition for somebody else.
  NewEvent copy = event("plan", R"({"secret":42})");
  copy.event_id = uuid(1);
  copy.correlation_id = uuid(50);
  expect_nothing_written(shared.whole, [&] {
    const AppendResult result = shared.rival.append(of("rival", "a"), ExpectedVersion::any(), {copy});
    EXPECT_EQ(result.status, AppendStatus::duplicate_event_id);
    EXPECT_TRUE(result.streams.empty());
    EXPECT_EQ(result.detail.find("acme"), std::string::npos) << result.detail;
  });
  // Request keys are each tenant's own.
  EXPECT_EQ(shared.rival.find_command(command_of("rival", "r").key).value().outcome.at(0).stream, of("rival", "a"));
  expect_refused([&] { shared.rival.find_command(command_of("acme", "r").key); });
  expect_refused([&] { shared.rival.is_command_processed(command_of("acme", "r").key); });
  expect_refused([&] { shared.rival.list_commands(of("acme", "a")); });
  const Uuid command_id = shared.acme.find_command(command_of("acme", "r").key).value().command_id;
  EXPECT_TRUE(shared.acme.find_command(command_id));
  EXPECT_FALSE(shared.rival.find_command(command_id));
  EXPECT_FALSE(shared.rival.is_command_processed(command_id));
  Command stolen = command_of("rival", "r-3");
  stolen.command_id = command_id;
  expect_nothing_written(shared.whole, [&] {
    const AppendResult result =
        shared.rival.append(request(stolen, of("rival", "a"), ExpectedVersion::any(), events(1)));
    EXPECT_EQ(result.status, AppendStatus::request_id_reused);
    EXPECT_TRUE(result.streams.empty());
  });
}

void another_tenants_snapshots_are_refused(Harness& harness) {
  Shared shared(harness);
  Snapshot snapshot;
  snapshot.stream = of("acme", "a");
  snapshot.version = Version(2);
  snapshot.state = json(R"({"sum":42})");
  ASSERT_TRUE(shared.acme.save_snapshot(snapshot));
  expect_refused([&] { shared.rival.save_snapshot(snapshot); });
  expect_refused([&] { shared.rival.find_snapshot(snapshot.stream); });
  expect_refused([&] { shared.rival.list_snapshots({.tenant = "acme"}); });
  expect_refused([&] { shared.rival.delete_snapshots({.tenant = "acme"}); });
  EXPECT_TRUE(shared.acme.find_snapshot(snapshot.stream));
  EXPECT_TRUE(shared.rival.list_snapshots({.tenant = "rival"}).empty());
}

/// Keeps what it is given.
class Keeping final : public Projection {
 public:
  std::string name() const override { return "keeping"; }
  void apply(const RecordedEvent& event, ProjectionContext& context) override {
    EXPECT_EQ(context.tenant(), event.stream.tenant);
    streams.push_back(event.stream.to_string());
  }
  Ids streams;
};

void projections_and_subscriptions_are_its_own(Harness& harness) {
  Shared shared(harness);
  ProjectionOptions options;
  options.lease = std::chrono::minutes(10);
  Keeping of_acme;
  Keeping of_rival;
  run_projection(shared.acme, of_acme, options);
  run_projection(shared.rival, of_rival, options);
  EXPECT_EQ(of_acme.streams, (Ids{"acme:thing/a", "acme:thing/a"}));
  EXPECT_EQ(of_rival.streams, (Ids{"rival:thing/a"}));
  EXPECT_EQ(projection_statuses(shared.rival).size(), 1u);
  EXPECT_EQ(projection_statuses(shared.rival).at(0).state.key.tenant, "rival");
  EXPECT_EQ(projection_statuses(shared.whole).size(), 2u);
  options.tenant = "acme";
  expect_refused([&] { run_projection(shared.rival, of_rival, options); });
  expect_refused([&] { reset_projection(shared.rival, of_rival, options); });
  expect_refused([&] { shared.rival.driver().list_dead_letters({"keeping", "acme"}, 10); });
  expect_refused([&] { shared.rival.driver().find_projection({"keeping", ""}); });
  {
    const auto transaction = shared.rival.driver().begin_read_model();
    expect_refused([&] { transaction->activate({"keeping", "acme"}, 1, 1); });
  }

  Ids seen;
  SubscriptionOptions subscribed;
  subscribed.name = "reader";
  Subscription subscription(shared.rival, subscribed,
                            [&](const RecordedEvent& event) { seen.push_back(event.stream.tenant); });
  ASSERT_TRUE(subscription.wait_for(shared.whole.log_end(), patience()));
  subscription.stop();
  EXPECT_EQ(seen, (Ids{"rival"}));
}

void an_inline_projection_is_its_own(Harness& harness) {
  Shared shared(harness);
  const auto keeping = std::make_shared<Keeping>();
  shared.rival.use_inline_projection(keeping);
  shared.acme.append(of("acme", "b"), ExpectedVersion::any(), events(1)).or_throw();
  shared.rival.append(of("rival", "b"), ExpectedVersion::any(), events(1)).or_throw();
  EXPECT_EQ(keeping->streams, (Ids{"rival:thing/b"}));
  expect_refused([&] { shared.rival.append(of("acme", "b"), ExpectedVersion::any(), events(1)); });
}

constexpr Case all_tenant_cases[] = {
    {"G14", "each_has_its_own", each_has_its_own},
    {"G14", "another_tenants_streams_are_refused", another_tenants_streams_are_refused},
    {"G14", "another_tenants_events_are_not_found", another_tenants_events_are_not_found},
    {"G14", "another_tenants_ids_give_nothing_away", another_tenants_ids_give_nothing_away},
    {"G14", "another_tenants_snapshots_are_refused", another_tenants_snapshots_are_refused},
    {"G14", "projections_and_subscriptions_are_its_own", needs_read_models, projections_and_subscriptions_are_its_own},
    {"G14", "an_inline_projection_is_its_own", needs_read_models, an_inline_projection_is_its_own},
};

}  // namespace

std::span<const Case> tenant_cases() {
  return all_tenant_cases;
}

}  // namespace stele::testing
