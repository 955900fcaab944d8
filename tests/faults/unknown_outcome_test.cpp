// G12: when the answer to a commit is lost, the store finds out by the ids and does not guess.

#include <gtest/gtest.h>

#include "stele/driver/driver.h"
#include "stele/event_store.h"

namespace stele::testing {
namespace {

/// Passes everything on; loses the answers of the next appends, after or before they took effect.
class LossyDriver final : public driver::Driver {
 public:
  enum class Fault { after_commit, before_commit };

  explicit LossyDriver(std::unique_ptr<driver::Driver> inner) : inner_(std::move(inner)) {}

  Fault fault = Fault::after_commit;
  int faults_left = 0;
  bool for_each_append = false;  ///< As the error of each answer instead of an exception.

  std::string_view name() const noexcept override { return "lossy"; }
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    const bool lose = faults_left > 0;
    if (lose) --faults_left;
    const Error lost(
        ErrorCode::io, "the connection died in COMMIT",
        {.backend = "lossy", .native_code = 0, .sqlstate = {}, .retryable = false, .outcome = Outcome::unknown});
    std::vector<driver::AppendAnswer> answers;
    if (!lose || fault == Fault::after_commit) answers = inner_->append(appends);
    if (lose && !for_each_append) throw lost;
    if (lose) answers.assign(appends.size(), {AppendResult{}, lost});
    return answers;
  }
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    inner_->read_stream(request, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    inner_->read_log(request, page);
  }
  std::optional<RecordedEvent> find_event(const Uuid& id) override { return inner_->find_event(id); }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override { return inner_->stream_info(stream); }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    return inner_->list_streams(options);
  }
  std::optional<CommandRecord> find_command(const CommandKey& key) override { return inner_->find_command(key); }
  std::optional<CommandRecord> find_command(const Uuid& id) override { return inner_->find_command(id); }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    return inner_->list_commands(stream, limit);
  }
  StoreStats stats() override { return inner_->stats(); }
  std::vector<std::string> list_tenants() override { return inner_->list_tenants(); }
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override {
    inner_->verify_storage(options, report);
  }

 private:
  std::unique_ptr<driver::Driver> inner_;
};

class UnknownOutcome : public ::testing::TestWithParam<bool> {
 protected:
  UnknownOutcome() : store_(make_driver()) { driver_->for_each_append = GetParam(); }

  std::unique_ptr<driver::Driver> make_driver() {
    Registry registry;
    register_memory_driver(registry);
    auto driver = std::make_unique<LossyDriver>(registry.open(Url::parse("memory:")));
    driver_ = driver.get();
    return driver;
  }

  static std::vector<NewEvent> events(int count) {
    std::vector<NewEvent> made;
    for (int i = 0; i < count; ++i) made.emplace_back().type = "Happened";
    return made;
  }

  void lose(LossyDriver::Fault fault, int times) {
    driver_->fault = fault;
    driver_->faults_left = times;
  }

  LossyDriver* driver_ = nullptr;
  EventStore store_;
  const StreamKey stream_{"account", "1"};
};

TEST_P(UnknownOutcome, G12_an_append_that_was_committed_is_found_and_not_doubled) {
  lose(LossyDriver::Fault::after_commit, 1);
  const AppendResult result = store_.append(stream_, ExpectedVersion::no_stream(), events(3));
  EXPECT_EQ(result.status, AppendStatus::appended) << "this call wrote it, so it is no replay";
  EXPECT_EQ(result.streams[0].first_version, Version(1));
  EXPECT_EQ(result.streams[0].last_version, Version(3));
  EXPECT_EQ(store_.stream_version(stream_), Version(3));
}

TEST_P(UnknownOutcome, G12_an_append_that_was_not_committed_is_made_now) {
  lose(LossyDriver::Fault::before_commit, 1);
  const AppendResult result = store_.append(stream_, ExpectedVersion::no_stream(), events(2));
  EXPECT_EQ(result.status, AppendStatus::appended);
  EXPECT_EQ(store_.stream_version(stream_), Version(2));
}

TEST_P(UnknownOutcome, G12_answers_lost_again_and_again_are_found_within_the_tries) {
  lose(LossyDriver::Fault::after_commit, 3);
  EXPECT_EQ(store_.append(stream_, ExpectedVersion::any(), events(1)).status, AppendStatus::appended);
  EXPECT_EQ(store_.stream_version(stream_), Version(1));
}

TEST_P(UnknownOutcome, G12_what_cannot_be_found_out_is_said_to_be_unknown) {
  lose(LossyDriver::Fault::after_commit, 100);
  try {
    store_.append(stream_, ExpectedVersion::any(), events(1));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.outcome(), Outcome::unknown);
  }
  EXPECT_EQ(store_.stream_version(stream_), Version(1)) << "and still it was written only once";
}

TEST_P(UnknownOutcome, G5_G12_a_command_is_recorded_once) {
  AppendRequest request;
  request.command = Command{.key = {"default", "desk", "r-1"},
                            .type = "Open",
                            .command_id = {},
                            .stream = {},
                            .actor = {},
                            .channel = {},
                            .data = {}};
  request.streams.push_back({stream_, ExpectedVersion::no_stream(), events(1)});
  lose(LossyDriver::Fault::after_commit, 1);
  EXPECT_EQ(store_.append(request).status, AppendStatus::appended);
  EXPECT_EQ(store_.append(request).status, AppendStatus::replayed);
  EXPECT_EQ(store_.stats().commands, 1);
  EXPECT_EQ(store_.stream_version(stream_), Version(1));
}

TEST_P(UnknownOutcome, G5_G12_somebody_elses_earlier_request_is_a_replay) {
  AppendRequest request;
  request.command = Command{.key = {"default", "desk", "r-1"},
                            .type = "Open",
                            .command_id = {},
                            .stream = {},
                            .actor = {},
                            .channel = {},
                            .data = {}};
  request.streams.push_back({stream_, ExpectedVersion::any(), events(1)});
  EXPECT_EQ(store_.append(request).status, AppendStatus::appended);
  lose(LossyDriver::Fault::before_commit, 1);
  EXPECT_EQ(store_.append(request).status, AppendStatus::replayed);
  EXPECT_EQ(store_.stream_version(stream_), Version(1));
}

TEST_P(UnknownOutcome, G12_append_all_finds_each_of_its_appends) {
  std::vector<AppendRequest> requests(3);
  for (int i = 0; i < 3; ++i) {
    requests[static_cast<std::size_t>(i)].streams.push_back(
        {StreamKey("account", std::to_string(i)), ExpectedVersion::no_stream(), events(2)});
  }
  lose(LossyDriver::Fault::after_commit, 1);
  const std::vector<AppendResult> results = store_.append_all(requests);
  ASSERT_EQ(results.size(), 3u);
  for (const AppendResult& result : results) EXPECT_EQ(result.status, AppendStatus::appended);
  EXPECT_EQ(store_.stats().events, 6);
}

INSTANTIATE_TEST_SUITE_P(Faults, UnknownOutcome, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "in_each_answer" : "as_exception"; });

}  // namespace
}  // namespace stele::testing
