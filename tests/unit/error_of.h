// What a call throws.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "stele/error.h"

namespace stele::testing {

/// The Error that the call throws. Without one the test fails, and the result is of no use.
template <class Call>
Error error_of(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no stele::Error was thrown";
  return Error(ErrorCode::internal, "nothing was thrown");
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace stele::testing

/// The call throws an Error with this code, whose message contains these words.
#define EXPECT_ERROR(call, wanted_code, words)                                                        \
  do {                                                                                                \
    const ::stele::Error error_thrown = ::stele::testing::error_of([&] { static_cast<void>(call); }); \
    EXPECT_EQ(::stele::to_string(error_thrown.code()), ::stele::to_string(wanted_code));              \
    EXPECT_TRUE(::stele::testing::contains(error_thrown.message(), words))                            \
        << "message: " << error_thrown.message() << "\nwanted: " << (words);                          \
  } while (false)
