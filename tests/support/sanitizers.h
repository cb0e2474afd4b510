// Which sanitizer this build has; gcc says it by macros, clang by __has_feature.
//
//   if (kMemoryIsGivenBack) EXPECT_LT(resident_mib(), 100);
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define SF_HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SF_HAS_ADDRESS_SANITIZER 1
#endif
#endif

namespace sf {

#ifdef SF_HAS_ADDRESS_SANITIZER
constexpr bool kHasAddressSanitizer = true;
#else
constexpr bool kHasAddressSanitizer = false;
#endif
#ifdef __SANITIZE_THREAD__
constexpr bool kHasThreadSanitizer = true;
#else
constexpr bool kHasThreadSanitizer = false;
#endif

// AddressSanitizer keeps what was freed for a while: the memory of a process says nothing then.
constexpr bool kMemoryIsGivenBack = !kHasAddressSanitizer;

}  // namespace sf
