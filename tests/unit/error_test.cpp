#include "stele/error.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <vector>

#include "error_of.h"
#include "stele/append.h"

namespace stele {
namespace {

TEST(ErrorCode, EveryCodeHasItsOwnStableNumberAndName) {
  const std::vector<std::pair<int, std::string_view>> names{{1, "invalid_argument"},   {2, "too_large"},
                                                            {3, "conflict"},           {4, "request_id_reused"},
                                                            {5, "duplicate_event_id"}, {6, "duplicate_idempotency_key"},
                                                            {7, "not_found"},          {8, "schema_outdated"},
                                                            {9, "schema_too_new"},     {10, "checksum_mismatch"},
                                                            {11, "migration_failed"},  {12, "cannot_connect"},
                                                            {13, "permission_denied"}, {14, "busy"},
                                                            {15, "disk_full"},         {16, "io"},
                                                            {17, "corrupt"},           {18, "rejected_by_database"},
                                                            {19, "unsupported"},       {20, "closed"},
                                                            {21, "internal"},          {22, "upcast_failed"},
                                                            {23, "handler_failed"},    {24, "key_destroyed"},
                                                            {25, "key_unavailable"},   {26, "wrong_key"},
                                                            {27, "tampered"}};
  for (const auto& [number, name] : names) EXPECT_EQ(to_string(static_cast<ErrorCode>(number)), name);
}

TEST(Outcome, Names) {
  EXPECT_EQ(to_string(Outcome::not_applied), "not_applied");
  EXPECT_EQ(to_string(Outcome::applied), "applied");
  EXPECT_EQ(to_string(Outcome::unknown), "unknown");
}

TEST(Error, GivesBackWhatItWasMadeOf) {
  Error::Details details;
  details.backend = "sqlite";
  details.native_code = 261;
  details.sqlstate = "HY000";
  details.retryable = true;
  details.outcome = Outcome::unknown;
  const Error error(ErrorCode::busy, "another writer", details);
  EXPECT_EQ(error.code(), ErrorCode::busy);
  EXPECT_EQ(error.message(), "another writer");
  EXPECT_EQ(error.backend(), "sqlite");
  EXPECT_EQ(error.native_code(), 261);
  EXPECT_EQ(error.sqlstate(), "HY000");
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(error.outcome(), Outcome::unknown);
  EXPECT_STREQ(error.what(), "busy: another writer [sqlite 261]");
}

TEST(Error, OfCoreIsFinalAndNotApplied) {
  const Error error(ErrorCode::invalid_argument, "data: is missing");
  EXPECT_TRUE(error.backend().empty());
  EXPECT_TRUE(error.sqlstate().empty());
  EXPECT_EQ(error.native_code(), 0);
  EXPECT_FALSE(error.retryable());
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_STREQ(error.what(), "invalid_argument: data: is missing");
}

TEST(Error, WhatNamesTheOriginAsFarAsItIsKnown) {
  const auto what = [](std::string backend, int native, std::string sqlstate) {
    Error::Details details;
    details.backend = std::move(backend);
    details.native_code = native;
    details.sqlstate = std::move(sqlstate);
    return std::string(Error(ErrorCode::io, "m", details).what());
  };
  EXPECT_EQ(what("memory", 0, ""), "io: m [memory]");
  EXPECT_EQ(what("postgres", 0, "40001"), "io: m [postgres 40001]");
  EXPECT_EQ(what("", 5, ""), "io: m [5]");
}

TEST(Error, CopiesAreTheSameErrorAndCannotThrow) {
  static_assert(std::is_nothrow_copy_constructible_v<Error>);
  static_assert(std::is_nothrow_copy_assignable_v<Error>);
  static_assert(std::is_base_of_v<std::exception, Error>);
  const Error original(ErrorCode::io, "gone");
  const Error copy = original;
  EXPECT_EQ(copy.what(), original.what());  // The same text, not an equal one.
}

TEST(AppendResult, OrThrowGivesTheStatussCode) {
  AppendResult conflict;
  conflict.status = AppendStatus::conflict;
  conflict.conflict = VersionConflict{StreamKey("acme", "order", "7"), ExpectedVersion::exactly(3), Version(5)};
  EXPECT_ERROR(conflict.or_throw(), ErrorCode::conflict, "acme:order/7: expected version 3, the stream is at 5");
  EXPECT_ERROR(AppendResult(conflict).or_throw(), ErrorCode::conflict, "the stream is at 5");

  const std::vector<std::pair<AppendStatus, ErrorCode>> others{
      {AppendStatus::request_id_reused, ErrorCode::request_id_reused},
      {AppendStatus::duplicate_event_id, ErrorCode::duplicate_event_id},
      {AppendStatus::duplicate_idempotency_key, ErrorCode::duplicate_idempotency_key}};
  for (const auto& [status, code] : others) {
    AppendResult result;
    result.status = status;
    result.detail = "which one";
    EXPECT_FALSE(result.ok());
    EXPECT_ERROR(result.or_throw(), code, "which one");
    EXPECT_EQ(to_string(status), to_string(code));
  }
}

TEST(AppendResult, OrThrowGivesGoodResultsBack) {
  AppendResult result;
  result.streams.push_back({StreamKey("order", "7"), Version(1), Version(2), Position(10), Position(11)});
  result.streams.push_back({StreamKey("order", "6"), Version(1), Version(1), Position(8), Position(8)});
  EXPECT_EQ(&result.or_throw(), &result);
  EXPECT_FALSE(result.replayed());
  EXPECT_EQ(result.last_position(), Position(11));
  result.status = AppendStatus::replayed;
  EXPECT_TRUE(result.ok());
  EXPECT_TRUE(result.replayed());
  EXPECT_EQ(AppendResult(result).or_throw().streams, result.streams);
  EXPECT_EQ(AppendResult().last_position(), Position(0));
  EXPECT_EQ(to_string(AppendStatus::appended), "appended");
  EXPECT_EQ(to_string(AppendStatus::replayed), "replayed");
  EXPECT_EQ(to_string(AppendStatus::conflict), "conflict");
}

}  // namespace
}  // namespace stele
