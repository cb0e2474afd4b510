// OpenMP's threads, waiting for the next piece of work, spin by default. On a machine with other work, or in a
// container with a quota, they spin away the time that the one thread they wait for needs, and a start of half a second
// takes half a minute. libgomp reads its policy from the environment when it is loaded, before main(): so the program
// sets it and starts itself again.
//
//   wait_without_spinning(argv);   // the first statement of main()
//
// One thread only. REQUIRES: the first thing in main(), before any other thread is started: nothing is open and nothing
// is lost. Process id, arguments, environment, signal mask and open files stay.
#pragma once

#include <functional>

namespace sf {

// Replaces the program as execv(3) does: returns only where it cannot.
using ExecFunction = std::function<int(const char* path, char* const argv[])>;

// Effect: sets OMP_WAIT_POLICY=PASSIVE and starts the program again, once. Nothing where OMP_WAIT_POLICY or
// GOMP_SPINCOUNT is set, by an operator or by this function. Where the program cannot be started again it goes on as it
// is.
void wait_without_spinning(char* const argv[]);
void wait_without_spinning(char* const argv[], const ExecFunction& exec);

}  // namespace sf
